package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// startCmd starts a command and polls its webhook until the first correct answer, then stops it.
func startCmd(args []string) error {
	f := flag.NewFlagSet("start", flag.ExitOnError)
	address := f.String("url", "https://127.0.0.1:9443/mutate-pods", "webhook")
	file := f.String("review", "review.json", "AdmissionReview")
	limit := f.Duration("timeout", time.Minute, "give up after")
	log := f.String("log", os.DevNull, "where the command's output goes")
	_ = f.Parse(args)
	if f.NArg() == 0 {
		return fmt.Errorf("no command after the flags")
	}
	body, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	hook, err := newWebhook(*address, body)
	if err != nil {
		return err
	}
	out, err := os.Create(*log)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command(f.Arg(0), f.Args()[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	r, err := firstAnswer(hook, start, *limit, ended)
	if err != nil {
		r["error"] = err.Error()
	} else {
		r["op_cpu_s"], _ = processCPU(cmd.Process.Pid)
		r["rss_kib"] = residentKiB(cmd.Process.Pid)
	}
	stop(cmd, ended)
	return emit(r)
}

// stop asks the command to end and kills it when it does not.
func stop(cmd *exec.Cmd, ended chan error) {
	_ = cmd.Process.Signal(syscall.SIGTERM) // fails when it has ended already
	select {
	case <-ended:
	case <-time.After(45 * time.Second):
		_ = cmd.Process.Kill()
		<-ended
	}
}

// firstAnswer polls: the port every half millisecond until it accepts, then the webhook every millisecond.
func firstAnswer(hook *webhook, start time.Time, limit time.Duration, ended chan error) (map[string]any, error) {
	r := map[string]any{"tries": 0}
	for tries := 1; time.Since(start) < limit; {
		select {
		case err := <-ended:
			ended <- err
			return r, fmt.Errorf("the command ended before it answered: %v", err)
		default:
		}
		if r["accept_ms"] == nil {
			c, err := net.Dial("tcp", hook.addr)
			if err != nil {
				sleepUntil(time.Now().Add(500 * time.Microsecond))
				continue
			}
			_ = c.Close()
			r["accept_ms"] = round3(ms(time.Since(start)))
		}
		r["tries"] = tries
		tries++
		if c, err := hook.dial(); err == nil {
			body, err := c.ask()
			c.close()
			if err == nil {
				if _, err := hook.check(body); err == nil {
					r["first_answer_ms"] = round3(ms(time.Since(start)))
					return r, nil
				}
			}
		}
		sleepUntil(time.Now().Add(time.Millisecond))
	}
	return r, fmt.Errorf("no correct answer within %s", limit)
}

// residentKiB is VmRSS.
func residentKiB(pid int) int {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	for _, l := range strings.Split(string(b), "\n") {
		if v, ok := strings.CutPrefix(l, "VmRSS:"); ok {
			n, _ := strconv.Atoi(strings.Fields(v)[0])
			return n
		}
	}
	return 0
}
