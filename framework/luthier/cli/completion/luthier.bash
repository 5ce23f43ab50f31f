# Completion of luthier for bash: source this file, or `luthier completion bash --install`.
_luthier() {
    local typed=${COMP_LINE:0:COMP_POINT} line
    local word=${typed##*[[:space:]]} breaks=${COMP_WORDBREAKS//[^=:@]/} before=
    # Bash takes the word apart at these signs; it wants only what follows the last of them.
    [[ -n $breaks ]] && before=${word%"${word##*[$breaks]}"}
    COMPREPLY=()
    while IFS= read -r line; do
        [[ -n $line ]] && COMPREPLY+=("${line#"$before"}")
    done < <(COMP_LINE=$COMP_LINE COMP_POINT=$COMP_POINT "${COMP_WORDS[0]}" -sc query=bash 2>/dev/null)
    # A word that is whole is followed by a space; one that goes on is not.
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} != *[=./] ]] && COMPREPLY[0]+=' '
    return 0
}
complete -o nospace -F _luthier luthier
