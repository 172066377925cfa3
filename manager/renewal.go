package manager

import (
	"encoding/json"
	"time"
)

// renewal is when a cookie is sent again that would end before its session: browsers keep none for longer than
// maxCookieAge, whatever it asks for.
const renewal = maxCookieAge / 10

// renews reports whether the client gets its token again, with another time. Sessions without a deadline, or with one that is
// far away, outlive their cookie otherwise. It is called with mu held.
func (s *request) renews() bool {
	if s.base == nil || s.token.text == "" || s.mode == ReadOnly || s.base.Browser {
		return false
	}
	now, sent := s.clock.now(), s.base.Issued.Time()
	if now.Sub(sent) < renewal {
		return false
	}
	if again := time.Unix(parseClient(s.base.Client).Sent, 0); again.After(sent) {
		sent = again
	}
	ends := s.base.Deadline
	return now.Sub(sent) >= renewal && (ends.IsZero() || ends.Time().Sub(sent) > maxCookieAge)
}

// renewed is the metadata of the session's client, with the time of a renewal.
func (s *request) renewed() *string {
	c := parseClient(s.base.Client)
	c.Sent = s.clock.now().Unix()
	data, err := json.Marshal(c)
	if err != nil {
		return nil
	}
	text := string(data)
	return &text
}
