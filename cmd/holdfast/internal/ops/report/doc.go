// Package report writes what the operator's commands find, as lines for people or as JSON, and reads sizes and ages as
// people write them. Whatever came out of Redis is made safe for a terminal first.
package report
