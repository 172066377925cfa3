// Package cluster runs a small cluster in one process: a Redis, several replicas of the shop with a client and
// sessions of their own each, and a balancer in front. The replicas share nothing but Redis, as if they ran on
// different machines.
//
// The connections of a replica can be held and cut. So a replica can be paused, killed and cut off from Redis, and
// what it leaves behind is what a process leaves behind. A cluster also reports what its replicas have
// counted, what Redis holds of a session, and the outcome of each request.
package cluster
