//go:build !race

package sim_test

const defaultSeeds = 12 // of each fault
