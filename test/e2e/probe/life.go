package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

// These files of a container tell its health check which of the commands healthy and unhealthy ran
// last.
const (
	unhealthyFile = "/unhealthy"
	healthyFile   = "/healthy"
)

// check is the health check of the image. It passes unless the command unhealthy ran last, or the
// environment has UNHEALTHY and neither command has run.
func check([]string) error {
	switch {
	case exists(unhealthyFile):
		return errors.New("made unhealthy")
	case os.Getenv("UNHEALTHY") != "" && !exists(healthyFile):
		return errors.New("unhealthy from the start")
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func unhealthy([]string) error { return os.WriteFile(unhealthyFile, nil, 0o600) }

func healthy([]string) error {
	if err := os.WriteFile(healthyFile, nil, 0o600); err != nil {
		return err
	}
	if err := os.Remove(unhealthyFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// end exits with the given code.
func end(args []string) error {
	code, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	fmt.Println("ends with", code)
	os.Exit(code)
	return nil
}

// trap prints the signals that arrive. Only SIGKILL ends it.
func trap([]string) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	fmt.Println("ready")
	for s := range signals {
		fmt.Println("got", s)
	}
	return nil
}

// facts prints what a process sees of itself and its container, as lines of "name value".
func facts([]string) error {
	groups, err := os.Getgroups()
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	fmt.Println("user", os.Getuid(), os.Getgid())
	fmt.Println("groups", groups)
	fmt.Println("hostname", host)
	fmt.Println("directory", dir)
	for _, variable := range os.Environ() {
		fmt.Println("env", variable)
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	fmt.Println("nofile", files.Max)
	fmt.Println("writable /", os.WriteFile("/new", nil, 0o600) == nil)
	return fromFiles()
}

// fromFiles prints lines of files that describe the container.
func fromFiles() error {
	all := func(string) bool { return true }
	status := func(line string) bool {
		return strings.HasPrefix(line, "CapBnd:") || strings.HasPrefix(line, "NoNewPrivs:")
	}
	for path, keep := range map[string]func(line string) bool{
		"/proc/self/status":            status,
		"/proc/1/comm":                 all, // docker-init, or the container's program
		"/proc/1/oom_score_adj":        all,
		"/proc/sys/net/core/somaxconn": all,
		"/etc/hosts":                   all,
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if keep(line) {
				fmt.Println(path, strings.Join(strings.Fields(line), " "))
			}
		}
	}
	return nil
}
