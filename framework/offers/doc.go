// Package offers keeps the book of the resource offers that the master has made to
// the framework: which are held, what was declined and for how long, and whether the
// master makes new ones.
//
//	                REVIVE                        SUPPRESS
//	instances wait ────────▶ the master offers ◀──────────── nothing waits
//	                          │            │
//	                   placed │            │ held too long, or nothing waits
//	                          ▼            ▼
//	                        ACCEPT      DECLINE, not again for RefuseSeconds
//
// It is pure: time comes as an argument, and every method returns the calls that the
// framework makes. It never decides which host an instance goes to; framework/place
// does. Start reading at Book.
package offers
