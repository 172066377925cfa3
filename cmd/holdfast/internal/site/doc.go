// Package site runs a whole small site in one process: a Redis, several replicas of the shop with a client and
// sessions of their own each, and a balancer in front. The replicas share nothing but Redis, as if they ran on
// different machines.
package site
