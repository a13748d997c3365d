// Task is the program in the containers of the agent's tests. Its arguments are commands
// that it obeys in their order.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	for i := 1; i < len(os.Args); i++ {
		switch os.Args[i] {
		case "say": // say TEXT
			i++
			fmt.Println(os.Args[i])
			fmt.Fprintln(os.Stderr, os.Args[i])
		case "count": // prints a number every 20 ms, for ever
			for n := 0; ; n++ {
				fmt.Println(n)
				time.Sleep(20 * time.Millisecond)
			}
		case "stubborn": // ignores SIGTERM
			signal.Ignore(syscall.SIGTERM)
		case "sleep": // sleep DURATION
			i++
			d, err := time.ParseDuration(os.Args[i])
			if err != nil {
				os.Exit(99)
			}
			time.Sleep(d)
		case "exit": // exit CODE
			i++
			code, _ := strconv.Atoi(os.Args[i])
			os.Exit(code)
		}
	}
}
