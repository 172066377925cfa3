package admin

import "strings"

// Info holds the fields of INFO by name.
type Info map[string]string

// ReadInfo parses the answer of INFO.
func ReadInfo(text string) Info {
	info := make(Info)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok {
			info[name] = value
		}
	}
	return info
}
