// Package measure holds the meters of the benchmark: what a slice of work cost
// the client, the server and the wire, how long its operations took, and how
// repeated measurements are put together.
package measure
