// Package mark has the marks of stored values. The first byte marks what a binary codec wrote and what was encrypted; JSON
// begins with none of these bytes. A prefix of the name marks what belongs to a child session.
package mark

// The marks.
const (
	Gob    = 0x01
	CBOR   = 0x02
	Sealed = 0x03 // encrypted
	Plain  = 0x04 // stands in front of a value that begins with Sealed or Plain and was not encrypted
)

// Child encloses the name of a child session in front of the names of its values.
const Child = "\x1f"

// Of names what a value in Redis is, "encrypted", "gob", "cbor" or "text", and returns it as its codec wrote it. Text is
// JSON unless the application brings a codec of its own.
func Of(data string) (kind, value string) {
	if data == "" {
		return "text", ""
	}
	switch data[0] {
	case Sealed:
		return "encrypted", data
	case Gob:
		return "gob", data
	case CBOR:
		return "cbor", data
	case Plain:
		data = data[1:]
	}
	return "text", data
}
