package fleet

import (
	"bytes"
	"encoding/json"
	"testing"
)

// Whatever a pump sends is understood and within bounds, or refused with a reason.
func FuzzBatch(f *testing.F) {
	good, err := json.Marshal(goodBatch())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"pump":"ottawa","boot":"0123456789abcdef","number":1,"first":1,"state":{"viewers":-1,"streams":[{}]}}`))
	f.Add([]byte(`{"pump":"ottawa","events":[{"kind":"join"},{"kind":"answer","answer":{}}],"snapshot":{"parts":1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b Batch
		if Decode(bytes.NewReader(data), "", &b) != nil || b.Check("ottawa") != nil {
			return
		}
		// What passed passes again after a way over the wire, unchanged.
		again, _, err := Encode(b)
		if err != nil {
			t.Fatal(err)
		}
		if len(again) > MaxBody {
			return
		}
		whole, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		var c Batch
		if err := Decode(bytes.NewReader(whole), "", &c); err != nil {
			t.Fatal(err)
		}
		if err := c.Check("ottawa"); err != nil {
			t.Fatal(err)
		}
		if twice, err := json.Marshal(c); err != nil || !bytes.Equal(whole, twice) {
			t.Errorf("%s\nbecame\n%s", whole, twice)
		}
	})
}

func FuzzHouseMessages(f *testing.F) {
	c := Config{Pump: "ottawa", Settings: json.RawMessage(`{"streams":[]}`)}
	c.Seal()
	wire, err := json.Marshal(c)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(AppendMessage(nil, Message{Event: EventConfig, Data: wire}))
	f.Add(AppendMessage(nil, Message{Event: EventCommand, Data: []byte(`{"id":"0123456789abcdef","kind":"kick","clients":["anna"]}`)}))
	f.Add([]byte("event: config\r\ndata: {\r\ndata: }\r\n\r\n: \n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewMessageReader(bytes.NewReader(data))
		for range 100 {
			m, err := r.Next()
			if err != nil {
				return
			}
			if bytes.ContainsRune(append([]byte(m.Event+m.ID), m.Data...), '\r') {
				continue // JSON has none
			}
			again, err := NewMessageReader(bytes.NewReader(AppendMessage(nil, m))).Next()
			if err != nil || again.Event != m.Event || !bytes.Equal(again.Data, m.Data) {
				t.Fatalf("%+v became %+v, %v", m, again, err)
			}
			var config Config
			if json.Unmarshal(m.Data, &config) == nil && config.Check("ottawa") == nil && !json.Valid(config.Settings) {
				t.Fatal("settings that are no JSON pass")
			}
			var command Command
			if json.Unmarshal(m.Data, &command) == nil {
				_ = command.Check()
			}
		}
	})
}

func FuzzHello(f *testing.F) {
	f.Add([]byte(`{"pump":"ottawa","boot":"0123456789abcdef","url":"http://192.0.2.1:8086","port":8086}`))
	f.Add([]byte(`{"pump":"@house-1","boot":"0123456789abcdef","url":"http://192.0.2.1:8086","port":8086}`))
	f.Add([]byte(`{"url":"http://[::1%25eth0]:8086/"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var h Hello
		if Decode(bytes.NewReader(data), "", &h) == nil && h.Check() == nil && !ValidID(h.Pump) && !ValidHouseID(h.Pump) {
			t.Errorf("%q passes", h.Pump)
		}
	})
}

func FuzzInvite(f *testing.F) {
	f.Add(NewInvite("calgary", nil).String())
	f.Add("ph1.YQ.AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, text string) {
		i, err := ParseInvite(text)
		if err != nil {
			return
		}
		if again, err := ParseInvite(i.String()); err != nil || again != i {
			t.Errorf("%q became %+v, %v", text, again, err)
		}
	})
}
