// Package memory keeps sessions in this process. It is for tests, and an example of a store that is
// not Redis.
//
// It is a complete store.Sessions without a database. Sessions end with the process, and no other
// process sees them, so in production it only suits an application that runs as one process and may
// lose its sessions. Several Managers of one process can share a [Store].
//
// It shows all that a store has to do. The file memory.go holds what a database would hold in its
// tables, with a mutex where a database would use a transaction, and leaves the comparison to
// store.Commit.Next. The file secrets.go decides what a replaced secret opens, and users.go is the
// index of users. Package store/storetest checks the store.
package memory
