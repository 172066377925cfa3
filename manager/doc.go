// Package manager gives HTTP handlers sessions that stay correct with many replicas behind a load balancer and many
// tabs of one browser at once.
package manager
