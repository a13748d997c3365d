// Package sim runs the real framework and its real store against a simulated master, agents,
// linkers and clock. Random apps are put, changed and removed while everything fails that can
// fail: messages are lost, repeated, late and overtaken by others, the framework is killed
// between any two writes to its store, the master fails over, hosts go and come back. Then the
// faults stop, and the cluster must come to what was wanted last.
//
// One number, the seed, decides everything. `make sim` runs 200 seeds and prints each that
// fails; `make sim SEED=n` runs that one again and shows what happens in it.
//
//	scenario ──▶ faults, commands ──▶ framework ──▶ witness ──▶ frameworktest.Cluster
//	(seed)                               │          (checks calls)   (checks launches)
//	                                     ▼
//	                                   store (crashes at any write)
//
// Three parts check the rules. The cluster notes launches that must not happen:
// into a slot where another task lives, for an app that was removed, with more than was offered.
// The witness stands between the framework and the master: it notes an ACCEPT of a task that
// is not stored, and offers that are held for too long. The verdict looks at the end at what runs,
// at what the API says, and at updates that were never acknowledged. Start reading at TestSeeds.
package sim
