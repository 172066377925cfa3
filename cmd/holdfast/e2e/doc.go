// Package e2e tests the demo, the console and the program of the README as people meet them: each is started, and a headless
// Chromium opens its pages in several tabs, clicks, sends bursts of requests and kills replicas. It is a separate module, so
// that no other package needs what drives the browser.
//
// Without Chromium the tests are skipped; with HOLDFAST_REQUIRE_CHROMIUM=1 they fail instead. They leave pictures in the
// folder screenshots.
package e2e
