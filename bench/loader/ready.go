package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// event is the part of a watch line that readiness needs.
type event struct {
	Type   string
	Object struct {
		Metadata struct {
			Name            string
			Generation      int64
			ResourceVersion string
		}
		Status struct {
			ObservedGeneration int64
			Conditions         []struct{ Type, Status string }
		}
	}
}

func (e *event) ready() bool {
	if e.Object.Status.ObservedGeneration != e.Object.Metadata.Generation {
		return false
	}
	for _, c := range e.Object.Status.Conditions {
		if c.Type == "Ready" && c.Status == "True" {
			return true
		}
	}
	return false
}

// readyWatch notes when each of a set of objects became Ready.
type readyWatch struct {
	client *rest.RESTClient
	path   string
	rv     string
	index  map[string]int
	when   []time.Time
	left   int
	done   chan error
}

// watchReady starts watching from now on.
func watchReady(ctx context.Context, gvr schema.GroupVersionResource, namespace string, t template, first, n int) (*readyWatch, error) {
	c, err := rawClient()
	if err != nil {
		return nil, err
	}
	w := &readyWatch{client: c, index: map[string]int{}, when: make([]time.Time, n), left: n, done: make(chan error, 1),
		path: "/apis/" + gvr.Group + "/" + gvr.Version + "/namespaces/" + namespace + "/" + gvr.Resource}
	for i := range n {
		u, err := t.object(first + i)
		if err != nil {
			return nil, err
		}
		w.index[u.GetName()] = i
	}
	b, err := c.Get().AbsPath(w.path).Param("limit", "1").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	var list struct {
		Metadata struct{ ResourceVersion string }
	}
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, err
	}
	w.rv = list.Metadata.ResourceVersion
	go func() { w.done <- w.run(ctx) }()
	return w, nil
}

func (w *readyWatch) run(ctx context.Context) error {
	for w.left > 0 {
		s, err := w.client.Get().AbsPath(w.path).Param("watch", "1").Param("resourceVersion", w.rv).Param("timeoutSeconds", "1800").Stream(ctx)
		if err != nil {
			return fmt.Errorf("%d not Ready: %w", w.left, err)
		}
		err = w.read(bufio.NewReaderSize(s, 1<<20))
		_ = s.Close()
		if err != nil {
			return err
		}
		if ctx.Err() != nil && w.left > 0 {
			return fmt.Errorf("%d not Ready: %w", w.left, ctx.Err())
		}
	}
	return nil
}

// read consumes one stream; the end of the stream is no error.
func (w *readyWatch) read(r *bufio.Reader) error {
	for w.left > 0 {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return nil
		}
		var e event
		if json.Unmarshal(line, &e) != nil || e.Type == "ERROR" {
			return fmt.Errorf("watch: %.300s", line)
		}
		w.rv = e.Object.Metadata.ResourceVersion
		if i, ok := w.index[e.Object.Metadata.Name]; ok && w.when[i].IsZero() && e.ready() {
			w.when[i] = time.Now()
			w.left--
		}
	}
	return nil
}

func (w *readyWatch) wait() error { return <-w.done }

// latencies are creation to Ready in ms, and the time of the last.
func (w *readyWatch) latencies(created []time.Time) ([]float64, time.Time) {
	var last time.Time
	lat := make([]float64, len(created))
	for i, t := range w.when {
		lat[i] = ms(t.Sub(created[i]))
		if t.After(last) {
			last = t
		}
	}
	return lat, last
}
