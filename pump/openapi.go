package pump

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"
)

// object is a piece of JSON.
type object = map[string]any

// openAPI describes the API from the same table that serves it.
func (a *admin) openAPI(w http.ResponseWriter, _ *http.Request) {
	s := schemas{}
	paths := object{}
	for path, ms := range a.routes() {
		item := object{}
		for method, op := range ms {
			item[strings.ToLower(method)] = s.operation(path, op)
		}
		paths[path] = item
	}
	writeJSON(w, http.StatusOK, object{
		"openapi":    "3.1.0",
		"info":       object{"title": "Stream Pump", "version": a.pump.opts.Version},
		"paths":      paths,
		"components": object{"schemas": s},
	})
}

// schemas collects the types that answers are made of, by name.
type schemas object

func (s schemas) operation(path string, op operation) object {
	status := op.status
	if status == 0 {
		status = http.StatusOK
	}
	success := object{"description": http.StatusText(status)}
	if op.answer != nil {
		success["content"] = s.content(reflect.TypeOf(op.answer))
	}
	responses := object{strconv.Itoa(status): success}
	for code, why := range op.errors {
		responses[strconv.Itoa(code)] = object{"description": why, "content": s.content(reflect.TypeFor[APIError]())}
	}
	responses["default"] = object{"description": "refused", "content": s.content(reflect.TypeFor[APIError]())}
	o := object{"summary": op.summary, "responses": responses}
	if op.body != "" {
		o["requestBody"] = object{
			"description": op.body,
			"content":     object{"application/yaml": object{"schema": object{"type": "string"}}},
		}
	}
	if params := parameters(path, op.query); len(params) > 0 {
		o["parameters"] = params
	}
	return o
}

func parameters(path string, query []parameter) []object {
	var list []object
	text := object{"type": "string"}
	for part := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			list = append(list, object{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": text})
		}
	}
	for _, q := range query {
		list = append(list, object{"name": q.name, "in": "query", "description": q.text, "schema": text})
	}
	return list
}

func (s schemas) content(t reflect.Type) object {
	return object{"application/json": object{"schema": s.of(t)}}
}

// of describes a type; structs go into the collection and are referred to.
func (s schemas) of(t reflect.Type) object {
	switch t.Kind() {
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		if t.Elem().Kind() == reflect.Interface {
			return object{"type": "object"}
		}
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		s.add(t)
		return object{"$ref": "#/components/schemas/" + t.Name()}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return object{"type": "number"}
	default:
		return object{"type": "integer"}
	}
}

func (s schemas) add(t reflect.Type) {
	if _, ok := s[t.Name()]; ok {
		return
	}
	properties, required := object{}, []string{}
	s[t.Name()] = object{"type": "object"} // so that a type within itself ends
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		properties[name] = s.of(f.Type)
		if options == "" {
			required = append(required, name)
		}
	}
	s[t.Name()] = object{"type": "object", "properties": properties, "required": required}
}
