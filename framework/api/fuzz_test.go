package api

import (
	"bytes"
	"encoding/json"
	"testing"

	"tombolo/framework/app"
)

// FuzzDecodeApp checks that a body that is no error is an App that survives encoding.
func FuzzDecodeApp(f *testing.F) {
	f.Add([]byte(`{"name":"shop","services":{"web":{"name":"web","image":"x","replicas":1,"restart":{"condition":"any"}}}}`))
	f.Add([]byte(`{"name":"shop"}{}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		wanted, err := decodeApp(bytes.NewReader(raw))
		if err != nil {
			return
		}
		again, err := json.Marshal(wanted)
		if err != nil {
			t.Fatal(err)
		}
		var back app.App
		if err := json.Unmarshal(again, &back); err != nil {
			t.Fatal(err)
		}
	})
}
