// Package migrating compares other session libraries with Holdfast, call by call, for docs/migrating.md. Each folder is
// for one library, and runs its calls next to those that replace them.
package migrating
