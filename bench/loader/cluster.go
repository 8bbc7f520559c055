package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

// config is the API server of KUBECONFIG, without a client-side rate limit.
func config() (*rest.Config, error) {
	c, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err == nil {
		c.QPS = -1
	}
	return c, err
}

// rawClient sends requests to absolute paths.
func rawClient() (*rest.RESTClient, error) {
	c, err := config()
	if err != nil {
		return nil, err
	}
	c.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	return rest.UnversionedRESTClientFor(c)
}

// template is a YAML or JSON object in which every "{{I}}" stands for an index.
type template struct {
	file string
	json []byte
}

func readTemplate(file string) (template, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return template{}, err
	}
	j, err := yaml.YAMLToJSON(raw)
	return template{file, j}, err
}

func (t template) object(i int) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(bytes.ReplaceAll(t.json, []byte("{{I}}"), []byte(strconv.Itoa(i)))); err != nil {
		return nil, fmt.Errorf("%s: %w", t.file, err)
	}
	return u, nil
}

// objects are n of them, from index first on.
func (t template) objects(first, n int) ([]*unstructured.Unstructured, error) {
	out := make([]*unstructured.Unstructured, n)
	for i := range out {
		u, err := t.object(first + i)
		if err != nil {
			return nil, err
		}
		out[i] = u
	}
	return out, nil
}
