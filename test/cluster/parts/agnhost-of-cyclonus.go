// Kubernetes' agnhost with only the two commands that cyclonus uses. All of agnhost takes ten times as long to start, and
// cyclonus starts it 324 times to look at a policy once.
package main

import (
	"os"

	"github.com/spf13/cobra"
	"k8s.io/kubernetes/test/images/agnhost/connect"
	servehostname "k8s.io/kubernetes/test/images/agnhost/serve-hostname"
)

func main() {
	agnhost := &cobra.Command{Use: "agnhost"}
	agnhost.AddCommand(connect.CmdConnect, servehostname.CmdServeHostname)
	if agnhost.Execute() != nil {
		os.Exit(1)
	}
}
