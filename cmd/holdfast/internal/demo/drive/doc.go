// Package drive plays users with many open tabs against a cluster, audits every item that they put into a cart, and
// compares them with what the carts hold in the end.
//
// # How the audit works
//
// Each answer names the session by its public ID and tells the number of items in the cart, so the account of a session
// is exact:
//
//   - Two adds that were both acknowledged with the same number have overwritten each other: an update was lost,
//     visible at once.
//   - When a session ends by a logout, and for the others at the end of the run, the cart must hold as many items as
//     adds were acknowledged in it.
//   - An add that was refused, with 409 or with 503 and Retry-After, was not done; the tab clicks again.
//   - An add that got no such answer may have been done: it widens what is expected to a range.
//   - A cookie that a logout or a login has made invalid is sent again, right away and after the run. It must open
//     nothing.
package drive
