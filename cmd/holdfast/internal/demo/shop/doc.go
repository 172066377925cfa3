// Package shop is the small web shop that the demo runs on every replica: a page of products, a cart, a login.
//
// The shop knows nothing of how sessions are kept. It asks for [Sessions], and there are two implementations:
// [Holdfast], and [Unlocked], which reads and writes whole sessions without a lock. Pages, driver and report are the
// same code over both, so that what differs is the session library.
//
// Every answer has headers for the driver's audit: the session's ID, the number of items in the cart and how long the
// request waited for its session.
package shop
