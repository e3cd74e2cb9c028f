// Control-server gives Tailscale clients a tailnet on loopback for as long as its standard input is open. Its derpMap is
// exchanged while they are connected:
//
//	PUT /derpmap   takes a derpMap as Tailscale's own types read it, hands it to every client within its open poll and to
//	               those that come later, and answers how many polls were open
//
// The first line of its output is a JSON document with the URLs of both: control, and admin.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync/atomic"

	"tailscale.com/tailcfg"
	"tailscale.com/tstest/integration/testcontrol"
)

func main() {
	control, admin := listen(), listen()
	server := &testcontrol.Server{
		Logf:            func(string, ...any) {},
		AllOnline:       true,
		ExplicitBaseURL: urlOf(control),
	}
	polls := countPolls(server)
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /derpmap", func(w http.ResponseWriter, r *http.Request) {
		derpMap, err := readMap(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		open := polls.Load()
		exchange(server, derpMap)
		fmt.Fprintf(w, "{\"polls\":%d}\n", open)
	})
	go serve(control, server)
	go serve(admin, mux)
	json.NewEncoder(os.Stdout).Encode(map[string]string{"control": urlOf(control), "admin": urlOf(admin)})
	io.Copy(io.Discard, os.Stdin)
}

// exchange has every open poll answer with the map.
//
// The server reads DERPMap without a lock for each answer. A pointer is written whole, so an answer has one map or the
// other, and the answers that the second line causes come after the write.
func exchange(server *testcontrol.Server, derpMap *tailcfg.DERPMap) {
	server.DERPMap = derpMap
	// Changes nothing, as there never is such an address, and has everybody be told of it.
	server.SetMasqueradeAddresses(nil)
}

// countPolls counts the polls that stay open: clients make others, which only report something.
func countPolls(server *testcontrol.Server) *atomic.Int64 {
	var open atomic.Int64
	server.HoldMapRequest = func(req *tailcfg.MapRequest) (done func()) {
		if !req.Stream || req.ReadOnly {
			return nil
		}
		open.Add(1)
		return func() { open.Add(-1) }
	}
	return &open
}

// readMap takes nothing that a client would not understand.
func readMap(body io.Reader) (*tailcfg.DERPMap, error) {
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	derpMap := new(tailcfg.DERPMap)
	if err := decoder.Decode(derpMap); err != nil {
		return nil, err
	}
	return derpMap, nil
}

func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	return listener
}

func urlOf(listener net.Listener) string {
	return "http://" + listener.Addr().String()
}

func serve(listener net.Listener, handler http.Handler) {
	log.Fatal(http.Serve(listener, handler))
}
