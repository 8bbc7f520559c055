// Package api holds the part of gobuildenv.dev/v1alpha1 that the peer reads and writes.
package api

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the API that both sides of the benchmark serve.
var GroupVersion = schema.GroupVersion{Group: "gobuildenv.dev", Version: "v1alpha1"}

// AddToScheme registers the kinds of this package.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &GoBuildEnv{}, &GoBuildEnvList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}

// Toolchain names the Go release.
type Toolchain struct {
	Version string `json:"version"`
}

// Cgo is the CGO policy: Disabled, Enabled or Auto.
type Cgo struct {
	Policy string `json:"policy,omitempty"`
}

// Proxy is one entry of GOPROXY; Fallback is NotFound (",") or AnyError ("|").
type Proxy struct {
	URL      string `json:"url"`
	Fallback string `json:"fallback,omitempty"`
}

// Modules says where modules come from.
type Modules struct {
	Proxies []Proxy  `json:"proxies,omitempty"`
	Private []string `json:"private,omitempty"`
}

// Conda describes the image's conda installation.
type Conda struct {
	Prefix string `json:"prefix,omitempty"`
}

// GoBuildEnvSpec is the declared environment.
type GoBuildEnvSpec struct {
	Toolchain Toolchain `json:"toolchain"`
	Cgo       Cgo       `json:"cgo,omitempty"`
	Modules   Modules   `json:"modules,omitempty"`
	Conda     Conda     `json:"conda,omitempty"`
}

// Revisions names the served and the newest revision.
type Revisions struct {
	Current string `json:"current,omitempty"`
	Updated string `json:"updated,omitempty"`
}

// GoBuildEnvStatus is what the reconciler reports.
type GoBuildEnvStatus struct {
	ObservedGeneration int64              `json:"observedGeneration,omitempty"`
	Revisions          Revisions          `json:"revisions,omitempty"`
	Conditions         []metav1.Condition `json:"conditions,omitempty"`
}

// GoBuildEnv is the namespaced object.
type GoBuildEnv struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              GoBuildEnvSpec   `json:"spec"`
	Status            GoBuildEnvStatus `json:"status,omitempty"`
}

// GoBuildEnvList is a page of them.
type GoBuildEnvList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []GoBuildEnv `json:"items"`
}

// DeepCopy copies everything an in-place change could reach.
func (in *GoBuildEnv) DeepCopy() *GoBuildEnv {
	if in == nil {
		return nil
	}
	out := &GoBuildEnv{TypeMeta: in.TypeMeta, Spec: in.Spec, Status: in.Status}
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Spec.Modules.Proxies = append([]Proxy(nil), in.Spec.Modules.Proxies...)
	out.Spec.Modules.Private = append([]string(nil), in.Spec.Modules.Private...)
	out.Status.Conditions = append([]metav1.Condition(nil), in.Status.Conditions...)
	return out
}

// DeepCopyObject implements runtime.Object.
func (in *GoBuildEnv) DeepCopyObject() runtime.Object { return in.DeepCopy() }

// DeepCopyObject implements runtime.Object.
func (in *GoBuildEnvList) DeepCopyObject() runtime.Object {
	out := &GoBuildEnvList{TypeMeta: in.TypeMeta}
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	for i := range in.Items {
		out.Items = append(out.Items, *in.Items[i].DeepCopy())
	}
	return out
}
