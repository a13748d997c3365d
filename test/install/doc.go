// Package install holds the tests of packaging/: install.sh runs in namespaces whose
// /etc, /run and /usr/local/bin are empty, with stand-ins for systemctl, apt-get and
// tombolo that write down what they were asked.
package install
