//go:build race

package sim_test

const defaultSeeds = 2 // of each fault: the race detector makes them ten times as slow
