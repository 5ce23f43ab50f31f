# Completion of luthier for fish: source this file, or `luthier completion fish --install`.
function __luthier_complete
    set -lx COMP_LINE (commandline --cut-at-cursor --current-process)
    set -lx COMP_POINT (string length -- "$COMP_LINE")
    set -l program (commandline --tokenize --current-process)[1]
    $program -sc query=fish 2>/dev/null
end
complete --command luthier --no-files --arguments '(__luthier_complete)'
