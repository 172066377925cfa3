package store

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Record is a session as it was at one version. It is immutable: many requests share one.
type Record struct {
	ID string

	// Version is COUNTER.TAG. Two versions are equal only if both parts are: a failover may rewind the counter, but cannot
	// draw the same tag.
	Version string

	Created Time

	// Deadline is when the session ends at the latest. Zero means no deadline.
	Deadline Time

	// Idle is the idle timeout. Zero means none.
	Idle time.Duration

	// Rotated is when Epoch began.
	Rotated Time

	// Issued is when the current secret was issued, by a rotation of either kind or by the creation.
	Issued Time

	// Hash is the SHA-256 of the current secret, in base64url.
	Hash string

	// User is the user that the session is bound to. Empty means none.
	User string

	// Client is the metadata of the client, as the caller encoded it.
	Client string

	// Epoch is the stamp of the last rotation by rule Privilege or change of user, or of the creation.
	Epoch string

	// KeySet is the stamp of the last commit that added or removed a key.
	KeySet string

	// Left is how long the session lives without further use. Negative means without end. Only Peek, Scan and Inspect set it.
	Left time.Duration

	Values Values

	// Browser is whether the client's cookie ends with the browser.
	Browser bool

	size uint32
	tags string // of the commits before Version, newest first
}

// Expiry returns when the session ends if it is not used after now, or the zero time if it never
// ends.
func (r *Record) Expiry(now time.Time) time.Time {
	if r.Idle > 0 {
		if ends := now.Add(r.Idle); r.Deadline.IsZero() || r.Deadline.Sub(ends) > 0 {
			return ends
		}
	}
	return r.Deadline.Time()
}

// Counter returns the counting part of the version.
func (r *Record) Counter() uint64 { return counterOf(r.Version) }

// Size returns roughly how much memory the record occupies, in bytes.
func (r *Record) Size() int { return int(r.size) }

func counterOf(version string) uint64 {
	head, _, _ := strings.Cut(version, ".")
	n, _ := strconv.ParseUint(head, 10, 64)
	return n
}

// stampOf is the stamp that the commit of a version leaves on what it writes.
func stampOf(version string) string {
	dot := strings.IndexByte(version, '.')
	return version[:min(dot+1+4, len(version))]
}

// recordOverhead is what a record costs in addition to its texts, and valueOverhead what each value does, measured with
// the memory scenario of the benchmark.
const (
	recordOverhead = 336
	valueOverhead  = 96
)

// measure sets the size.
func (r *Record) measure() {
	n := recordOverhead + len(r.ID) + len(r.Version) + len(r.tags) + len(r.Hash) + len(r.User) + len(r.Client)
	for key, v := range r.Values.All() {
		n += valueOverhead + len(key) + len(v.Data)
	}
	r.size = uint32(min(n, math.MaxUint32))
}

// parseRecord reads the fields of HGETALL.
func parseRecord(id, version string, fields []any) (*Record, error) {
	r := &Record{ID: strings.Clone(id), Version: version} // the caller's is part of a request's header
	if formatOf(fields) > Format {
		return nil, ErrNewerFormat
	}
	var list []keyed
	if len(fields)%2 != 0 {
		return nil, fmt.Errorf("%w: an odd number of fields", ErrCorrupt)
	}
	for i := 0; i < len(fields); i += 2 {
		name, ok := fields[i].(string)
		text, ok2 := fields[i+1].(string)
		if !ok || !ok2 || name == "" {
			return nil, fmt.Errorf("%w: field %d is not a string", ErrCorrupt, i/2)
		}
		if name[0] != '.' {
			if err := r.setMeta(name, text); err != nil {
				return nil, err
			}
			continue
		}
		v, err := parseValue(text)
		if err != nil {
			return nil, fmt.Errorf("%w: a value has %w", ErrCorrupt, err)
		}
		if list == nil {
			list = make([]keyed, 0, countValues(fields[i:]))
		}
		list = append(list, keyed{name[1:], v})
	}
	if _, tag, _ := strings.Cut(version, "."); r.Hash == "" || tag == "" || counterOf(version) == 0 {
		return nil, fmt.Errorf("%w: no secret or no version", ErrCorrupt)
	}
	r.Values = Values{list}
	r.Values.sort()
	r.share()
	r.measure()
	return r, nil
}

// Format is the format of records that this release writes and reads. A record without a field f
// has format 1. Every later release reads the formats of earlier releases. It keeps the meaning of
// the fields f, v and h, so that an earlier release can refuse a format that it does not know.
const Format = 1

// formatOf returns the format of a record.
func formatOf(fields []any) int {
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i] == "f" {
			text, _ := fields[i+1].(string)
			if n, err := strconv.Atoi(text); err == nil {
				return n
			}
		}
	}
	return 1
}

// share lets the stamps of a session that has not changed much be parts of its version.
func (r *Record) share() {
	stamp := stampOf(r.Version)
	if r.Epoch == stamp {
		r.Epoch = stamp
	}
	switch r.KeySet {
	case stamp:
		r.KeySet = stamp
	case r.Epoch:
		r.KeySet = r.Epoch
	}
}

// countValues counts the fields that hold values: a list that is made too large stays so.
func countValues(fields []any) (n int) {
	for i := 0; i < len(fields); i += 2 {
		if name, ok := fields[i].(string); ok && name != "" && name[0] == '.' {
			n++
		}
	}
	return n
}

func (r *Record) setMeta(name, text string) (err error) {
	switch name {
	case "c":
		r.Created, err = parseTime(text)
	case "x":
		r.Deadline, err = parseTime(text)
	case "r":
		r.Rotated, err = parseTime(text)
	case "s":
		r.Issued, err = parseTime(text)
	case "i":
		var ms int64
		ms, err = strconv.ParseInt(text, 10, 64)
		if ms < 0 || ms > math.MaxInt64/int64(time.Millisecond) {
			err = strconv.ErrRange
		}
		r.Idle = time.Duration(ms) * time.Millisecond
	case "h":
		r.Hash = text
	case "t":
		r.tags = text
	case "u":
		r.User = text
	case "m":
		r.Client = text
	case "b":
		r.Browser = text == "1"
	case "e":
		r.Epoch = text
	case "k":
		r.KeySet = text
	}
	if err != nil {
		return fmt.Errorf("%w: meta field %q is not a number", ErrCorrupt, name)
	}
	return nil
}

func parseTime(text string) (Time, error) {
	ms, err := strconv.ParseInt(text, 10, 64)
	return Time(max(0, ms)), err
}

func unixMilli(ms int64) time.Time {
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// parseValue reads STAMP:EXPIRY:DATA.
func parseValue(text string) (Value, error) {
	stamp, rest, ok := strings.Cut(text, ":")
	ends, data, ok2 := strings.Cut(rest, ":")
	if !ok || !ok2 {
		return Value{}, fmt.Errorf("no stamp or no expiry")
	}
	expires, err := parseTime(ends)
	if err != nil || !strings.Contains(stamp, ".") {
		return Value{}, fmt.Errorf("a stamp or an expiry that cannot be read")
	}
	return Value{Stamp: stamp, Expires: expires, Data: data}, nil
}
