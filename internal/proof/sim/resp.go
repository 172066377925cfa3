package sim

import (
	"bytes"
	"regexp"
	"strconv"
	"time"
)

// messages splits what a subscriber is sent into its top-level values. All of these are arrays or pushes of bulk
// strings and integers; what is not is returned as it is, in one piece.
func messages(b []byte) (all [][]byte) {
	for len(b) > 0 {
		end := value(b)
		all = append(all, b[:end])
		b = b[end:]
	}
	return all
}

// value returns where the first value in b ends.
func value(b []byte) int {
	line := bytes.IndexByte(b, '\n') + 1
	if line < 3 {
		return len(b)
	}
	n, err := strconv.Atoi(string(bytes.TrimRight(b[1:line], "\r\n")))
	switch b[0] {
	case '$':
		if err != nil || n < 0 {
			return line
		}
		return min(line+n+2, len(b))
	case '*', '>':
		end := line
		for range max(n, 0) {
			end += value(b[end:])
		}
		return end
	}
	return line
}

// unixMilli finds times of the year 2000, in which a bubble's clock begins, as the scripts write them: digits of Unix
// milliseconds.
var unixMilli = regexp.MustCompile(`\b946[6-9]\d{8}\b`)

// shift moves the times in b. A node that is shown a server whose clock is an hour ahead of its own is a node whose
// clock is an hour behind. The length stays the same.
func shift(b []byte, by time.Duration) {
	if by == 0 {
		return
	}
	for _, at := range unixMilli.FindAllIndex(b, -1) {
		ms, _ := strconv.ParseInt(string(b[at[0]:at[1]]), 10, 64)
		copy(b[at[0]:at[1]], strconv.FormatInt(ms+by.Milliseconds(), 10))
	}
}
