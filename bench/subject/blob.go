package subject

import (
	"encoding/binary"
	"errors"
)

// The subjects without a session library store a session as eight bytes of
// counter and the filler behind it: the cheapest encoding there could be.

const counterSize = 8

var errShortBlob = errors.New("stored session is shorter than its counter")

func newBlob(filler string) []byte {
	return append(make([]byte, counterSize, counterSize+len(filler)), filler...)
}

func blobCounter(blob []byte) (int64, error) {
	if len(blob) < counterSize {
		return 0, errShortBlob
	}
	return int64(binary.BigEndian.Uint64(blob)), nil
}

// incrementBlob adds one in place.
func incrementBlob(blob []byte) (int64, error) {
	n, err := blobCounter(blob)
	if err != nil {
		return 0, err
	}
	binary.BigEndian.PutUint64(blob, uint64(n+1))
	return n + 1, nil
}
