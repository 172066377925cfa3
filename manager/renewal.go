package manager

import (
	"encoding/json"
	"time"
)

// renewal is when a cookie is sent again that would end before its session: browsers keep none for longer than
// maxCookieAge, whatever it asks for.
const renewal = maxCookieAge / 10

// renews reports whether the client gets its token again, with another time. Sessions without a deadline, or with one that is
// far away, outlive their cookie otherwise.
func (c *changes) renews(t token) bool {
	rec := c.base()
	if rec == nil || t.text == "" || c.on.mode == ReadOnly || rec.Browser {
		return false
	}
	now, sent := c.on.clock.now(), rec.Issued.Time()
	if now.Sub(sent) < renewal {
		return false
	}
	if again := time.Unix(parseClient(rec.Client).Sent, 0); again.After(sent) {
		sent = again
	}
	ends := rec.Deadline
	return now.Sub(sent) >= renewal && (ends.IsZero() || ends.Time().Sub(sent) > maxCookieAge)
}

// renewed is the metadata of the session's client, with the time of a renewal.
func (c *changes) renewed() *string {
	info := parseClient(c.base().Client)
	info.Sent = c.on.clock.now().Unix()
	data, err := json.Marshal(info)
	if err != nil {
		return nil
	}
	text := string(data)
	return &text
}
