// A mutex that is found taken seven times: who holds it waits until the other does.
package main

import (
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// The state is the first word; from its fourth bit on it counts who waits.
func waited(lock *sync.Mutex) bool {
	return atomic.LoadInt32((*int32)(unsafe.Pointer(lock)))>>3 > 0
}

func main() {
	var lock sync.Mutex
	byte := make([]byte, 1)
	if read, _ := os.Stdin.Read(byte); read != 1 {
		os.Exit(1)
	}
	turn, done := make(chan bool), make(chan bool)
	go func() {
		for range turn {
			lock.Lock()
			lock.Unlock()
			done <- true
		}
	}()
	for time_ := 0; time_ < 7; time_++ {
		lock.Lock()
		turn <- true
		for !waited(&lock) {
			time.Sleep(time.Millisecond)
		}
		lock.Unlock()
		<-done
	}
}
