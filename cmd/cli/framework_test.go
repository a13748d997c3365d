package cli

import (
	"strings"
	"testing"

	"tombolo/cmd/errortest"
)

func TestFrameworkReportsWrongFlags(t *testing.T) {
	for args, want := range map[string]string{
		"":                                 "--master is missing",
		"--master zk://z:2181/mesos":       "ZooKeeper is not asked",
		"--master ftp://m":                 "want host:port",
		"--master m:5050 --linker /x,none": "--linker none: and others",
		"--master m:5050 --nosuch":         "unknown flag",
		"--master m:5050 --principal p":    "one without the other",
		"--master m:5050 --principal p --secret-file /nowhere": "--secret-file: open /nowhere",
		"--master m:5050 --principal p --secret-file /":        "/ is not a regular file",
		"--master m:5050 superfluous":                          "takes no arguments",
		"--master m:5050 --role a --l=x":                       "unknown flag",
	} {
		root := newRootCommand("dev")
		root.SetArgs(append([]string{"framework"}, strings.Fields(args)...))
		errortest.Contains(t, root.ExecuteContext(t.Context()), want)
	}
}
