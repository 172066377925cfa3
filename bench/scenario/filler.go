package scenario

import "strings"

const fillerText = "The quick brown fox jumps over the lazy dog, 0123456789 times a day. "

// filler returns so many bytes of text, which every codec stores as it is.
func filler(size int) string {
	return strings.Repeat(fillerText, size/len(fillerText)+1)[:size]
}

// Filler is what the sessions of this configuration hold in addition to their counter.
func (c Config) Filler() string { return filler(c.Payload) }
