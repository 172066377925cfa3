// Package operate is what the operator's commands do with package admin: they list sessions, show one, revoke them, look
// at locks and watch the messages between replicas, and write what they find.
package operate
