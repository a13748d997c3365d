// Package install tests packaging/. It runs install.sh in namespaces with an empty /etc, /run and
// /usr/local/bin, and with fakes of systemctl, apt-get and tombolo that record their arguments.
package install
