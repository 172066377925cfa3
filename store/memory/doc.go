// Package memory keeps sessions in this process: for tests, and as the example of a store that is not Redis.
//
// It is a complete store.Sessions, with nothing behind it. Sessions end with the process and no other process sees them,
// so in production it has one use, an application that runs once and may forget. Several Managers of one process share
// one [Store].
//
// What another store has to do is all in here: memory.go holds what a database would hold in its tables, under a mutex
// where that would take a transaction, and leaves the comparing to store.Commit.Next; secrets.go says what a replaced
// secret is good for; users.go is the index of users. The package store/storetest checks it.
package memory
