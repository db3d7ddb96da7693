// A web server: 127.0.0.1, port from the command line.
package main

import (
	"net/http"
	"os"
	"sync"
)

func main() {
	var lock sync.Mutex
	served := 0
	http.HandleFunc("/", func(response http.ResponseWriter, request *http.Request) {
		lock.Lock()
		served++
		lock.Unlock()
		response.Write([]byte("hello"))
	})
	if http.ListenAndServe("127.0.0.1:"+os.Args[1], nil) != nil {
		os.Exit(1)
	}
}
