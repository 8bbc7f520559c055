// Runs the GitOps health checks of charts/gitops the way their tools do: Argo CD's Lua, Flux's CEL.
// Reads one object as JSON from standard input and prints one JSON line.
//
//	healthcheck lua health.lua < object.json    {"status": "Healthy", "message": "…"}
//	healthcheck cel exprs.yaml < object.json    {"failed": false, "inProgress": true, "current": false}
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/google/cel-go/cel"
	lua "github.com/yuin/gopher-lua"
	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: healthcheck lua|cel FILE < object.json")
		os.Exit(2)
	}
	result, err := run(os.Args[1], os.Args[2])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "healthcheck:", err)
		os.Exit(1)
	}
}

func run(kind, file string) (any, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var object map[string]any
	if err := json.NewDecoder(os.Stdin).Decode(&object); err != nil {
		return nil, err
	}
	switch kind {
	case "lua":
		return runLua(string(text), object)
	case "cel":
		return runCEL(text, object)
	}
	return nil, fmt.Errorf("kind %q: want lua or cel", kind)
}

// runLua opens what Argo CD opens by default, so neither string nor math.
func runLua(script string, object map[string]any) (any, error) {
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	for _, lib := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}} {
		if err := l.CallByParam(lua.P{Fn: l.NewFunction(lib.open), Protect: true}, lua.LString(lib.name)); err != nil {
			return nil, err
		}
	}
	l.SetGlobal("obj", toLua(l, object))
	if err := l.DoString(script); err != nil {
		return nil, err
	}
	t, ok := l.Get(-1).(*lua.LTable)
	if !ok {
		return nil, fmt.Errorf("the script returned %s, want a table", l.Get(-1).Type())
	}
	return map[string]string{"status": lua.LVAsString(t.RawGetString("status")), "message": lua.LVAsString(t.RawGetString("message"))}, nil
}

func toLua(l *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case string:
		return lua.LString(v)
	case float64:
		return lua.LNumber(v)
	case bool:
		return lua.LBool(v)
	case []any:
		t := l.NewTable()
		for _, x := range v {
			t.Append(toLua(l, x))
		}
		return t
	case map[string]any:
		t := l.NewTable()
		for k, x := range v {
			t.RawSetString(k, toLua(l, x))
		}
		return t
	}
	return lua.LNil
}

// runCEL evaluates each named expression with the object's top-level fields as variables, as Flux does.
func runCEL(text []byte, object map[string]any) (any, error) {
	var checks []map[string]string
	if err := yaml.UnmarshalStrict(text, &checks); err != nil {
		return nil, err
	}
	var exprs map[string]string
	for _, c := range checks {
		if c["apiVersion"] == object["apiVersion"] && c["kind"] == object["kind"] {
			exprs = c
		}
	}
	if exprs == nil {
		return nil, fmt.Errorf("no check for %v %v", object["apiVersion"], object["kind"])
	}
	var options []cel.EnvOption
	vars := map[string]any{}
	for _, name := range []string{"apiVersion", "kind", "metadata", "spec", "status"} {
		options = append(options, cel.Variable(name, cel.DynType))
		if v, ok := object[name]; ok {
			vars[name] = v
		} else {
			vars[name] = map[string]any{}
		}
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, err
	}
	result := map[string]bool{}
	for _, name := range []string{"inProgress", "failed", "current"} {
		ast, issues := env.Compile(exprs[name])
		if issues.Err() != nil {
			return nil, fmt.Errorf("%s: %w", name, issues.Err())
		}
		program, err := env.Program(ast)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		value, _, err := program.Eval(vars)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		answer, ok := value.Value().(bool)
		if !ok {
			return nil, fmt.Errorf("%s: gives %v, want a boolean", name, value)
		}
		result[name] = answer
	}
	return result, nil
}
