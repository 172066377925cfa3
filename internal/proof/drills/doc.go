// Package drills measures what users see while something breaks that breaks in production: a replica of the application, a
// Redis primary, a cluster's master, all of Redis; and while a primary is replaced as planned.
//
// Other than package faults, which looks for broken promises and shortens every time to find more of them, it leaves all
// settings of Holdfast and go-redis at their defaults, so that its figures are those of an application. Its tests fail if
// an update was lost that only a mistake of Holdfast can lose. make drills runs them and prints the table of docs/failures.md.
package drills
