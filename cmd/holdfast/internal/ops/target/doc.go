// Package target connects the operator's commands with a Redis: it reads addresses, finds out what answers there, and
// says in one line what is wrong. No message has a password in it.
package target
