// Package store keeps what the framework must not forget: who it is, what is
// wanted, which tasks it has launched, how many generations every slot has had,
// and where volumes are. A Batch is written whole or not at all and is durable
// when Commit returns, so that what follows from it may then be sent: a task is
// stored before its ACCEPT, an update before its acknowledgement.
//
// It owns the keys and their encoding, not their meaning: it decides nothing. A
// Backend holds the bytes: bbolt on one machine; the keys are paths, one for each
// task and each app, so that ZooKeeper can hold them as well.
package store
