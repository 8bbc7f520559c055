package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// injected says whether a pod as the API server answers it carries an environment.
func injected(o *unstructured.Unstructured) bool {
	b, err := json.Marshal(o.Object)
	if err != nil {
		return false
	}
	for _, want := range []string{`"name":"GOTOOLCHAIN"`, `"mountPath":"/etc/gobuildenv"`, `"gobuildenv.dev/revision"`, `"configMap"`} {
		if !bytes.Contains(b, []byte(want)) {
			return false
		}
	}
	return true
}

// podsCmd creates pods with dryRun=All and times each request; each answer must be injected, or must not.
func podsCmd(args []string) error {
	f := flag.NewFlagSet("pods", flag.ExitOnError)
	n := f.Int("n", 1000, "requests")
	warm := f.Int("warm", 100, "requests before, not counted")
	c := f.Int("c", 1, "requests in flight")
	file := f.String("template", "pod.json", "pod template")
	expect := f.Bool("expect", false, "every answer must carry an environment; otherwise none may")
	watch := f.String("watch", "", "processes whose CPU per request is reported: name=pid,…")
	_ = f.Parse(args)

	t, err := readTemplate(*file)
	if err != nil {
		return err
	}
	pods, err := t.objects(0, *warm+*n)
	if err != nil {
		return err
	}
	procs, err := parseWatched(*watch)
	if err != nil {
		return err
	}
	cfg, err := config()
	if err != nil {
		return err
	}
	dyn, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return err
	}
	ri := dyn.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(pods[0].GetNamespace())

	var bad atomic.Int64
	one := func(u *unstructured.Unstructured) float64 {
		start := time.Now()
		o, err := ri.Create(context.Background(), u, metav1.CreateOptions{DryRun: []string{"All"}})
		d := ms(time.Since(start))
		if err == nil && injected(o) != *expect {
			err = fmt.Errorf("pod %s: injected is %t, want %t", u.GetName(), !*expect, *expect)
		}
		if err != nil && bad.Add(1) < 3 {
			fmt.Fprintln(os.Stderr, err)
		}
		return d
	}
	for _, u := range pods[:*warm] {
		one(u)
	}
	before, err := procs.cpu()
	if err != nil {
		return err
	}
	lat, took := timeAll(pods[*warm:], *c, one)
	after, err := procs.cpu()
	if err != nil {
		return err
	}
	r := latencies(lat)
	r["c"], r["rps"], r["bad"] = *c, round3(float64(*n)/took.Seconds()), bad.Load()
	for k, v := range after {
		r[k+"_cpu_ms_per_req"] = round3((v - before[k]) * 1000 / float64(*n))
	}
	return emit(r)
}

// timeAll runs one on every pod with the given number in flight.
func timeAll(pods []*unstructured.Unstructured, inFlight int, one func(*unstructured.Unstructured) float64) ([]float64, time.Duration) {
	lat := make([]float64, len(pods))
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range inFlight {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := int(next.Add(1)) - 1; i < len(pods); i = int(next.Add(1)) - 1 {
				lat[i] = one(pods[i])
			}
		}()
	}
	wg.Wait()
	return lat, time.Since(start)
}
