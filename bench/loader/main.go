// The load generator and black-box meter of the benchmarks. Every subcommand prints one JSON line.
package main

import (
	"fmt"
	"os"
)

var commands = map[string]struct {
	run  func(args []string) error
	help string
}{
	"create":  {createCmd, "create objects and wait until each is Ready at its generation"},
	"pods":    {podsCmd, "time dry-run pod creations through the API server"},
	"reviews": {reviewsCmd, "send AdmissionReviews to a webhook, closed loop or at a fixed rate, and check every answer"},
	"start":   {startCmd, "start a command and time its first correct admission answer"},
	"writes":  {writesCmd, "count the write requests the API server has served"},
}

func main() {
	if len(os.Args) > 1 {
		if c, ok := commands[os.Args[1]]; ok {
			if err := c.run(os.Args[2:]); err != nil {
				fmt.Fprintf(os.Stderr, "loader %s: %v\n", os.Args[1], err)
				os.Exit(1)
			}
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: loader COMMAND [flags]   (KUBECONFIG must be set where the API server is asked)")
	for _, n := range []string{"create", "pods", "reviews", "start", "writes"} {
		fmt.Fprintf(os.Stderr, "  %-8s %s\n", n, commands[n].help)
	}
	os.Exit(2)
}
