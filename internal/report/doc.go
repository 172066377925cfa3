// Package report writes what operators see, as lines for people or as JSON, and reads sizes and ages as people write
// them. Text that comes from Redis is made safe for a terminal first.
package report
