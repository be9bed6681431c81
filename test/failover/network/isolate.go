package network

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
)

// inside marks a process with its own namespaces.
const inside = "HIGHWATER_LAB_INSIDE"

// Ways to get own namespaces with the right to make more: as root, or as the root of a user namespace. All processes
// and networks of the lab end with its first process.
var (
	ofOneself = []string{"--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"}
	asNobody  = append([]string{"--user", "--map-root-user"}, ofOneself...)
)

// ErrRefused is an error of Isolate on a machine without the permission.
var ErrRefused = errors.New("the machine allows no network namespaces")

// Isolated tells whether this process is the lab itself, not its parent.
func Isolated() bool { return os.Getenv(inside) != "" }

// Settle makes the first process of the lab ready. iproute2 keeps the names of networks in /run. The lab's own /run
// leaves no name behind.
func Settle() error {
	out, err := exec.Command("mount", "-t", "tmpfs", "tmpfs", "/run").CombinedOutput() //nolint:noctx // short
	if err != nil {
		return fmt.Errorf("mount /run: %w: %s", err, out)
	}
	return nil
}

// Isolate runs this program again in own namespaces, and gives its exit status.
func Isolate() (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	ways := [][]string{asNobody}
	if os.Geteuid() == 0 {
		ways = [][]string{ofOneself, asNobody}
	}
	var refused []error
	for _, way := range ways {
		// The needs of the lab: its own /run, a network namespace, a link into the namespace.
		const try = "mount -t tmpfs tmpfs /run && ip netns add try && ip link add try0 type veth peer name try1 netns try"
		out, tryErr := exec.Command("unshare", append(way, "sh", "-c", try)...).CombinedOutput() //nolint:gosec,noctx // constant, short
		if tryErr == nil {
			return runAgain(append(way, append([]string{self}, os.Args[1:]...)...))
		}
		refused = append(refused, fmt.Errorf("unshare %v: %w: %s", way, tryErr, out))
	}
	return 1, fmt.Errorf("%w, and the lab needs some; run the lab as root, "+
		"or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces)\n%w",
		ErrRefused, errors.Join(refused...))
}

func runAgain(args []string) (int, error) {
	cmd := exec.Command("unshare", args...) //nolint:gosec,noctx // this program; the pipe below tells the lab of our end
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	go func() {
		for range signals {
			_ = cmd.Process.Kill() // everything in the lab ends with its first process
		}
	}()
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	return 0, err
}

// Privileged tells whether the lab may mount file systems from images: not as the root of a user namespace.
func Privileged() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && strings.Join(strings.Fields(string(b)), " ") == "0 0 4294967295"
}
