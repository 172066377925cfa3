package report

import (
	"encoding/json"
	"fmt"
	"io"
)

// Writer writes to one output. It keeps the first error of the output and writes nothing after it.
type Writer struct {
	out  io.Writer
	json bool
	err  error
}

// NewWriter returns a Writer of lines for people, or of JSON.
func NewWriter(out io.Writer, asJSON bool) *Writer { return &Writer{out: out, json: asJSON} }

// JSON reports whether JSON is wanted.
func (w *Writer) JSON() bool { return w.json }

// Err is the first error of the output.
func (w *Writer) Err() error { return w.err }

// Line writes a line for people. Texts from Redis among the values go through Text first.
func (w *Writer) Line(format string, values ...any) {
	if w.json || w.err != nil {
		return
	}
	_, w.err = fmt.Fprintf(w.out, format+"\n", values...)
}

// Object writes one JSON object on a line of its own.
func (w *Writer) Object(v any) {
	if !w.json || w.err != nil {
		return
	}
	encoder := json.NewEncoder(w.out)
	encoder.SetEscapeHTML(false)
	w.err = encoder.Encode(v)
}

// Item writes the line or the object, whichever is wanted.
func (w *Writer) Item(object any, format string, values ...any) {
	w.Line(format, values...)
	w.Object(object)
}
