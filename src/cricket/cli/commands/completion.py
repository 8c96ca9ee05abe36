"""Print a script that completes commands, options, names and ids in a shell.

To install it for everybody, run one of:

bash: cricket completion bash > /usr/share/bash-completion/completions/cricket

zsh: cricket completion zsh > /usr/share/zsh/site-functions/_cricket

fish: cricket completion fish > /usr/share/fish/vendor_completions.d/cricket.fish

The script asks `cricket __complete` at each key; it stays true when commands change. Names and ids are those of the
runtime that the line means; one that does not answer within half a second completes nothing.
"""

from __future__ import annotations

import argparse
import sys

EXAMPLES = """\
  cricket completion bash > ~/.local/share/bash-completion/completions/cricket
  cricket completion zsh > ~/.zfunc/_cricket   with fpath+=~/.zfunc before compinit in ~/.zshrc
  cricket completion fish > ~/.config/fish/completions/cricket.fish
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="for which shell")


def run(args: argparse.Namespace) -> int:
    """Print it."""
    from cricket.cli.completion.scripts import SCRIPTS

    sys.stdout.write(SCRIPTS[args.shell])
    return 0
