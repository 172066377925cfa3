package manager

import (
	"bytes"
	"encoding/gob"
	"errors"

	"github.com/fxamacker/cbor/v2"

	"github.com/holdfast-go/holdfast/internal/mark"
)

// The binary codecs mark what they write, so that a value of one codec is never taken for one of another: to CBOR a
// JSON number is a number too, and a different one.
const (
	gobMark  = mark.Gob
	cborMark = mark.CBOR
)

var errOtherCodec = errors.New("written with another codec")

// Gob encodes with encoding/gob. Values that are stored as interfaces need gob.Register. Choose it for values that are
// Go's alone; a type that is renamed or moved cannot read what it wrote before.
type Gob struct{}

var _ Codec = Gob{}

// Marshal implements Codec.
func (Gob) Marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	buf.WriteByte(gobMark)
	err := gob.NewEncoder(&buf).Encode(v)
	return buf.Bytes(), err
}

// Unmarshal implements Codec.
func (Gob) Unmarshal(data []byte, v any) error {
	if len(data) == 0 || data[0] != gobMark {
		return errOtherCodec
	}
	return gob.NewDecoder(bytes.NewReader(data[1:])).Decode(v)
}

// CBOR encodes as RFC 8949 says, in its core deterministic form: smaller than JSON, quicker with bytes and times, and
// readable from other languages. Struct tags are those of encoding/json, or "cbor". The format allows hostile input to
// ask for much memory; what Redis holds is limited by Config.MaxSessionBytes.
type CBOR struct{}

var _ Codec = CBOR{}

var cborMode = func() cbor.EncMode {
	opts := cbor.CoreDetEncOptions()
	opts.Time = cbor.TimeRFC3339Nano
	mode, err := opts.EncMode()
	if err != nil {
		panic(err) // constant options; a test runs this
	}
	return mode
}()

// Marshal implements Codec.
func (CBOR) Marshal(v any) ([]byte, error) {
	data, err := cborMode.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append([]byte{cborMark}, data...), nil
}

// Unmarshal implements Codec.
func (CBOR) Unmarshal(data []byte, v any) error {
	if len(data) == 0 || data[0] != cborMark {
		return errOtherCodec
	}
	return cbor.Unmarshal(data[1:], v)
}
