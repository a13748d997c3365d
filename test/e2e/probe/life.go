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

// What a patient's health is made of: see the image's HEALTHCHECK.
const (
	sickFile = "/sick"
	wellFile = "/well"
)

// check is a health check: a patient is well unless it was made sick, or was born
// so (with SICK in its environment) and nobody has made it well.
func check([]string) error {
	switch {
	case exists(sickFile):
		return errors.New("sick")
	case os.Getenv("SICK") != "" && !exists(wellFile):
		return errors.New("born sick")
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func sick([]string) error { return os.WriteFile(sickFile, nil, 0o600) }

func well([]string) error {
	if err := os.WriteFile(wellFile, nil, 0o600); err != nil {
		return err
	}
	if err := os.Remove(sickFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// end ends with a code of the caller's choice.
func end(args []string) error {
	code, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	fmt.Println("ends with", code)
	os.Exit(code)
	return nil
}

// trap says which signals come and dies of none but SIGKILL.
func trap([]string) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	fmt.Println("ready")
	for s := range signals {
		fmt.Println("got", s)
	}
	return nil
}

// facts prints what a process sees of itself, "name value" a line.
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

// fromFiles prints the lines of files that tell something of the container.
func fromFiles() error {
	all := func(string) bool { return true }
	status := func(line string) bool {
		return strings.HasPrefix(line, "CapBnd:") || strings.HasPrefix(line, "NoNewPrivs:")
	}
	for path, keep := range map[string]func(line string) bool{
		"/proc/self/status":            status,
		"/proc/1/comm":                 all, // docker-init, or the program
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
